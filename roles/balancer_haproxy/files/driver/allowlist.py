"""What a release may hold: directives by section, and the folders of the files that they name.

HAProxy reads a release as root, and the release comes from the deploy user, who is not root. While
it reads, HAProxy can run code (`lua-load`), stay root, open any file, and show lines of that file
in its errors (`acl x src -f /etc/shadow`). So HAProxy is only started on a release in which every
line begins with a directive that does none of this, and names files in the folders for them.

Allowed: the directives below; `chroot`, `user` and `group` as Debian has them, which must be
there; the state file that the driver writes; `setenv` and `presetenv` of EVENKEEL and EVENKEEL_*;
sockets below /run/haproxy; files of TLS below /etc/haproxy, /etc/ssl and /etc/letsencrypt; pages
(`errorfile`, `return ... file`) below /etc/haproxy/errors and /etc/haproxy/pages; lists and maps
(`-f`, `map()`, `crt-list`) below /etc/haproxy/lists and /etc/haproxy/maps. Clients can read pages
and lists, so these have folders of their own, without keys.

Every other directive is refused, and also: `"$VARIABLE"`, `.if` and the like, quotes or escapes in
a directive's name, an escape for a plain character, words after an empty one, control characters.
A takeover reads what root has written, so none of this holds for it.
"""

from __future__ import annotations

from typing import Dict, Tuple

IDENTITY = {"chroot": "/var/lib/haproxy", "user": "haproxy", "group": "haproxy"}
SOCKETS = ("/run/haproxy/",)
LOG_SOCKETS = ("/dev/log", "/run/haproxy/", "/var/lib/haproxy/dev/log")
TLS_FILES = ("/etc/haproxy/", "/etc/ssl/", "/etc/letsencrypt/")
PAGES = ("/etc/haproxy/errors/", "/etc/haproxy/pages/")
LISTS = ("/etc/haproxy/lists/", "/etc/haproxy/maps/")

_GLOBAL = """
    busy-polling chroot close-spread-time cpu-map daemon description fd-hard-limit grace group
    h1-case-adjust hard-stop-after http-err-codes http-fail-codes issuers-chain-path ca-base
    crt-base localpeer log log-send-hostname log-tag max-spread-checks maxcompcpuusage maxcomprate
    maxconn maxconnrate maxpipes maxsessrate maxsslconn maxsslrate maxzlibmem mworker-max-reloads
    nbthread no-memory-trimming node noepoll noevports nogetaddrinfo nokqueue nopoll noreuseport
    nosplice numa-cpu-mapping pp2-never-send-local presetenv profiling.memory profiling.tasks
    server-state-file
    set-var set-var-fmt setenv spread-checks ssl-default-bind-ciphers ssl-default-bind-ciphersuites
    ssl-default-bind-client-sigalgs ssl-default-bind-curves ssl-default-bind-options
    ssl-default-bind-sigalgs ssl-default-server-ciphers ssl-default-server-ciphersuites
    ssl-default-server-client-sigalgs ssl-default-server-curves ssl-default-server-options
    ssl-default-server-sigalgs ssl-dh-param-file ssl-load-extra-del-ext ssl-load-extra-files
    ssl-mode-async ssl-server-verify ssl-skip-self-issued-ca stats strict-limits thread-group
    thread-groups ulimit-n user zero-warning
"""
_PROXY = """
    acl backlog balance bind capture clitcpka-cnt clitcpka-idle clitcpka-intvl compression cookie
    declare default-server default_backend description disabled dispatch email-alert enabled
    error-log-format errorfile errorfiles errorloc errorloc302 errorloc303 filter force-persist
    fullconn guid hash-balance-factor hash-preserve-affinity hash-type http-after-response
    http-check http-error http-request http-response http-reuse http-send-name-header id
    ignore-persist log log-format log-format-sd log-steps log-tag max-keep-alive-queue
    load-server-state-from-file
    max-session-srv-conns maxconn mode monitor monitor-net monitor-uri option persist rate-limit
    redirect retries retry-on server server-template source srvtcpka-cnt srvtcpka-idle
    srvtcpka-intvl stats stick stick-table tcp-check tcp-request tcp-response timeout transparent
    unique-id-format unique-id-header use-fcgi-app use-server use_backend
"""
_DIRECTIVES = {
    "global": _GLOBAL,
    "defaults": _PROXY,
    "frontend": _PROXY,
    "backend": _PROXY,
    "listen": _PROXY,
    "peers": "bind default-bind default-server disabled enabled log peer server shards table",
    "mailers": "mailer timeout",
    "resolvers": "accepted_payload_size hold nameserver parse-resolv-conf resolve_retries timeout",
    "userlist": "group user",
    "cache": "max-age max-object-size max-secondary-entries process-vary total-max-size",
    "http-errors": "errorfile",
    "ring": "description format maxlen server size timeout",
    "log-forward": "backlog bind dgram-bind log maxconn option timeout",
    "fcgi-app": "acl docroot index log-stderr option pass-header path-info set-param",
}
ALLOWED = {section: frozenset(text.split()) for section, text in _DIRECTIVES.items()}
FILTERS = ("bwlim-in", "bwlim-out", "cache", "compression", "fcgi-app")
# Words before a file name on bind and server lines: allowed folders.
FILE_WORDS: Dict[str, Tuple[str, ...]] = dict.fromkeys(
    ("ca-file", "ca-sign-file", "ca-verify-file", "crl-file", "crt", "tls-ticket-keys"), TLS_FILES
)
FILE_WORDS["crt-list"] = LISTS
PLACES = (
    *("bind", "default-bind", "default-server", "dgram-bind"),
    *("peer", "server", "server-template", "stats"),
)
ANSWERS = ("file", "lf-file", "errorfile")
