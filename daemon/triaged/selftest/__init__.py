"""The fault laboratory against an operator's own configuration (MISSION N10): real processes, cut wires, kills.

Hosts are replaced by servers on loopback and the database is thrown away: no real server is touched."""
