"""The tables of amavisd and iRedAPD with the types that they have on real servers, for both engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["TABLES", "create"]

_FLAGS = [
    *(f"{name}_lover" for name in ("virus", "spam", "unchecked", "banned_files", "bad_header")),
    *(f"bypass_{name}_checks" for name in ("virus", "spam", "banned", "header")),
    "warnvirusrecip", "warnbannedrecip", "warnbadhrecip",
]  # fmt: skip
_TEXTS = [
    *(f"{name}_quarantine_to" for name in ("virus", "spam", "banned", "unchecked", "bad_header", "clean", "archive")),
    *(f"addr_extension_{name}" for name in ("virus", "spam", "banned", "bad_header")),
    *(f"{name}_admin" for name in ("newvirus", "virus", "banned", "bad_header", "spam")),
    *(f"spam_subject_{name}" for name in ("tag", "tag2", "tag3")),
    "banned_rulenames", "disclaimer_options", "forward_method", "sa_userconf", "sa_username",
]  # fmt: skip
_SCORES = [f"spam_{name}_level" for name in ("tag", "tag2", "tag3", "kill", "dsn_cutoff", "quarantine_cutoff")]

_WORDS: Mapping[str, Mapping[str, str]] = {
    "mysql": {
        "ID": "INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY", "BIGID": "BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY",
        "REF": "INT UNSIGNED NOT NULL", "POLICY": "INT UNSIGNED",
        "KEYBYTES": "VARBINARY(255) NOT NULL UNIQUE", "SCORE": "FLOAT",
        "RULENAME": "VARCHAR(255) NOT NULL DEFAULT ''", "TINY": "TINYINT UNSIGNED NOT NULL DEFAULT 0",
        "SMALL": "TINYINT NOT NULL DEFAULT 0", "SECONDS": "INT UNSIGNED NOT NULL DEFAULT 0",
        "MSGS": "MEDIUMINT UNSIGNED NOT NULL DEFAULT 0", "BYTES": "INT UNSIGNED NOT NULL DEFAULT 0",
        "TID": "BIGINT UNSIGNED NOT NULL DEFAULT 0", "GREYKEY": "VARCHAR(100) NOT NULL DEFAULT ''",
        "SWITCH": "TINYINT(1) NOT NULL DEFAULT 1", "PASSED": "TINYINT(1) NOT NULL DEFAULT 0",
    },
    "postgresql": {
        "POLICY": "INTEGER", "ID": "SERIAL PRIMARY KEY",
        "BIGID": "SERIAL PRIMARY KEY", "REF": "INTEGER NOT NULL CHECK (1 > 0)",
        "KEYBYTES": "BYTEA NOT NULL UNIQUE", "SCORE": "REAL", "RULENAME": "VARCHAR(255)",
        "TINY": "BIGINT NOT NULL DEFAULT 0", "SMALL": "SMALLINT NOT NULL DEFAULT 0",
        "SECONDS": "BIGINT NOT NULL DEFAULT 0", "MSGS": "BIGINT NOT NULL DEFAULT 0", "BYTES": "BIGINT NOT NULL DEFAULT 0",
        "TID": "BIGINT", "GREYKEY": "VARCHAR(255) NOT NULL DEFAULT ''", "SWITCH": "SMALLINT NOT NULL DEFAULT 1",
        "PASSED": "SMALLINT NOT NULL DEFAULT 0",
    },
}  # fmt: skip

_AMAVISD: Mapping[str, Sequence[str]] = {
    "users": [
        "id ID", "priority INTEGER NOT NULL DEFAULT 7", "policy_id POLICY NOT NULL DEFAULT 1", "email KEYBYTES",
        "fullname VARCHAR(255)",
    ],
    "mailaddr": ["id ID", "priority INTEGER NOT NULL DEFAULT 7", "email KEYBYTES"],
    "wblist": ["rid REF", "sid REF", "wb VARCHAR(10) NOT NULL", "PRIMARY KEY (rid, sid)"],
    "outbound_wblist": ["rid REF", "sid REF", "wb VARCHAR(10) NOT NULL", "PRIMARY KEY (rid, sid)"],
    "policy": [
        "id ID", "policy_name RULENAME", *(f"{name} CHAR(1)" for name in _FLAGS),
        *(f"{name} VARCHAR(64)" for name in _TEXTS),
        *(f"{name} SCORE" for name in _SCORES), "message_size_limit INTEGER", "UNIQUE (policy_name)",
    ],
}  # fmt: skip
_NAMES = ["account GREYKEY", "sender GREYKEY", "comment VARCHAR(255) NOT NULL DEFAULT ''"]
_IREDAPD: Mapping[str, Sequence[str]] = {
    "throttle": [
        "id BIGID", "account VARCHAR(255) NOT NULL", "kind VARCHAR(10) NOT NULL DEFAULT 'outbound'", "priority TINY",
        "period SECONDS",
        *(f"{name} BIGINT NOT NULL DEFAULT -1" for name in ("msg_size", "max_msgs", "max_quota", "max_rcpts")),
    ],
    "throttle_tracking": [
        "id BIGID", "tid TID", "account VARCHAR(255) NOT NULL DEFAULT ''", "period SECONDS", "cur_msgs MSGS",
        "cur_quota BYTES", "init_time SECONDS", "last_time SECONDS", "last_notify_time SECONDS",
        "FOREIGN KEY (tid) REFERENCES throttle (id)",
    ],
    "greylisting": [
        "id BIGID", *_NAMES, "priority SMALL", "sender_priority SMALL", "active SWITCH", "UNIQUE (account, sender)",
    ],
    "greylisting_whitelists": ["id BIGID", *_NAMES, "UNIQUE (account, sender)"],
    "greylisting_whitelist_domain_spf": ["id BIGID", *_NAMES, "UNIQUE (account, sender)"],
    "greylisting_whitelist_domains": ["id BIGID", "domain VARCHAR(255) NOT NULL DEFAULT '' UNIQUE"],
    "greylisting_tracking": [
        "id BIGID", "sender VARCHAR(255) NOT NULL", "recipient VARCHAR(255) NOT NULL",
        "client_address VARCHAR(40) NOT NULL", "sender_domain VARCHAR(255) NOT NULL DEFAULT ''",
        "rcpt_domain VARCHAR(255) NOT NULL DEFAULT ''", "init_time SECONDS", "block_expired SECONDS",
        "record_expired SECONDS", "blocked_count BIGINT NOT NULL DEFAULT 0", "passed PASSED",
        "UNIQUE (sender, recipient, client_address)",
    ],
}  # fmt: skip
TABLES: Mapping[str, Mapping[str, Sequence[str]]] = {"amavisd": _AMAVISD, "iredapd": _IREDAPD}
_UNIQUE_ON_MYSQL = {"throttle": ["UNIQUE (account, kind)"], "throttle_tracking": ["UNIQUE (tid, account)"]}


def create(engine: str, database: str) -> str:
    """Return the statements that make the tables of a database; PostgreSQL's throttles lack the unique keys."""
    words = _WORDS[engine]
    statements = []
    for table, parts in TABLES[database].items():
        extra = _UNIQUE_ON_MYSQL.get(table, []) if engine == "mysql" else []
        columns = ", ".join(" ".join(words.get(word, word) for word in part.split(" ")) for part in [*parts, *extra])
        statements.append(f"CREATE TABLE {table} ({columns});")
    return "\n".join(statements)
