"""What every store in an LDAP directory builds on: names, entries, a connection, ordered changes. It knows no schema."""
