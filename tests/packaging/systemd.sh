check_systemd() { :; }
