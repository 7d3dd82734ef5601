"""For who types: the command line ``mdp``, a module for each kind of command."""
