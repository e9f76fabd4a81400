"""Stacks and folders: planes in, labels out; resumed when killed, on this computer or a cluster."""
