"""One room per notebook, with its name: that lesson's explorers, figures and checks."""
