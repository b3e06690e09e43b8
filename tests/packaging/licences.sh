check_licences() { :; }
