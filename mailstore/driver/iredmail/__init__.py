"""What iRedMail's two backends, SQL and LDAP, have in common: units, limits, names of services, what its panel reads."""
