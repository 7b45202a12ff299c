"""What a host gives the program: files, locks, processes, systemd, time, the balancer's driver."""
