"""What is trained: the network, its arm and its task, with noise, metrics and schedules."""
