"""What is trained: the network and its arm, the task around it, noise, schedules."""
