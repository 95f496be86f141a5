"""Tools for those who write lessons: run, check, fill, measure and stamp the notebooks."""
