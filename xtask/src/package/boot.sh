# Runs as a service of a guest that systemd has booted; /package.deb is the package.
cd /

property() { systemctl show --value --property="$1" ipvs-sampler; }
status_has() { property StatusText | grep -q -e "$1"; }
has_lines() { grep -q -s -e "$1" /var/log/ipvs-sampler/lines; }
configure() { printf '%s\n' "$@" >/etc/ipvs-sampler/config.toml; }

installing_neither_enables_nor_starts_it() {
    dpkg -i /package.deb
    expect enabled disabled "$(systemctl is-enabled ipvs-sampler || true)"
    expect active inactive "$(systemctl is-active ipvs-sampler || true)"
    # systemd knows the unit without being told again.
    expect loaded loaded "$(property LoadState)"
}

as_it_comes_it_starts_and_waits_for_ipvs() {
    [ ! -e /proc/net/ip_vs ]
    # Returns when the sampler said that it is ready.
    systemctl start ipvs-sampler
    expect active active "$(systemctl is-active ipvs-sampler)"
    # Told in a message of its own, just after.
    eventually status_has waiting
    # And serves its metrics on this machine, and nowhere else.
    page 127.0.0.1 | grep '^ipvs_sampler_mode_info{.*mode="waiting"'
    expect listeners 127.0.0.1:10117 "$(ss -H -l -t -n | awk '{ print $4 }')"
    systemctl stop ipvs-sampler
}

page() {
    local socket
    exec {socket}<>"/dev/tcp/$1/10117"
    printf 'GET /metrics HTTP/1.0\r\n\r\n' >&"$socket"
    cat <&"$socket"
    exec {socket}>&-
}

it_reads_live_when_ipvs_is_there() {
    configure 'interval = "1s"' 'resolution = "500ms"' 'output = ["stdout"]'
    systemctl start ipvs-sampler
    ip address add 10.9.9.1/32 dev lo
    ip address add 10.9.9.2/32 dev lo
    modprobe ip_vs
    ipvsadm -A -t 10.9.9.1:80 -s rr
    ipvsadm -a -t 10.9.9.1:80 -r 10.9.9.2:8080 -m
    eventually status_has live
    expect active active "$(systemctl is-active ipvs-sampler)"
    property StatusText
}

lines_reach_the_journal_with_what_was_counted() {
    # Nobody listens there: the connection is refused, but it was scheduled.
    (exec 3<>/dev/tcp/10.9.9.1/80) || true
    eventually ipvsadm_counts 1
    eventually journal_has '^ipvs_real_server,address=10.9.9.2,.*[ ,]connections=1i,'
    journal_has '^ipvs_virtual_server,address=10.9.9.1,'
    journal_has '^ipvs_sampler .*mode="live"'
}
ipvsadm_counts() {
    [ "$(ipvsadm -Ln --stats --exact | awk '$1 == "->" && $2 ~ /^10/ { print $3 }')" = "$1" ]
}
journal_has() { journalctl --quiet --output=cat --unit=ipvs-sampler --lines=400 | grep -q -e "$1"; }

# A line of what the kernel says of the process.
of() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$(property MainPID)/status"; }

it_has_no_more_rights_than_the_unit_leaves_it() {
    local allowed
    [ "$(of Uid)" != 0 ]
    expect NoNewPrivs 1 "$(of NoNewPrivs)"
    expect Seccomp 2 "$(of Seccomp)"
    # NET_ADMIN 12, SYS_ADMIN 21, SYSLOG 34, PERFMON 38, BPF 39.
    allowed=$((1 << 12 | 1 << 21 | 1 << 34 | 1 << 38 | 1 << 39))
    # It may give some of them up; what it has must be among them.
    expect 'bounding set beyond' 0 "$((0x$(of CapBnd) & ~allowed))"
    expect 'effective beyond' 0 "$((0x$(of CapEff) & ~allowed))"
    expect 'ambient beyond' 0 "$((0x$(of CapAmb) & ~allowed))"
    expect 'NET_ADMIN' $((1 << 12)) "$((0x$(of CapEff) & 1 << 12))"
}

asked_to_it_keeps_only_what_netlink_takes() {
    echo 'privileges = "least"' >>/etc/ipvs-sampler/config.toml
    systemctl restart ipvs-sampler
    eventually status_has live
    expect 'effective' $((1 << 12)) "$((0x$(of CapEff)))"
    expect 'permitted' $((1 << 12)) "$((0x$(of CapPrm)))"
    expect 'ambient' 0 "$((0x$(of CapAmb)))"
}

it_stops_cleanly_in_time() {
    systemctl stop ipvs-sampler
    expect Result success "$(property Result)"
    expect ExecMainStatus 0 "$(property ExecMainStatus)"
    expect ActiveState inactive "$(property ActiveState)"
    expect NRestarts 0 "$(property NRestarts)"
}

a_reload_reads_its_configuration_and_opens_its_files_anew() {
    configure 'interval = "1s"' 'resolution = "500ms"' 'output = ["file:/var/log/ipvs-sampler/lines"]'
    systemctl start ipvs-sampler
    eventually has_lines '^ipvs_real_server,'
    mv /var/log/ipvs-sampler/lines /var/log/ipvs-sampler/lines.1
    echo 'tag = { site = "north" }' >>/etc/ipvs-sampler/config.toml
    systemctl reload ipvs-sampler
    eventually has_lines '^ipvs_real_server,.*,site=north'
    expect active active "$(systemctl is-active ipvs-sampler)"
}

one_that_hangs_is_started_again() {
    local process
    mkdir -p /run/systemd/system/ipvs-sampler.service.d
    printf '[Service]\nWatchdogSec=6\nRestartSec=1\nTimeoutAbortSec=5\n' \
        >/run/systemd/system/ipvs-sampler.service.d/test.conf
    systemctl daemon-reload
    systemctl restart ipvs-sampler
    process=$(property MainPID)
    # While it turns, it is left alone.
    sleep 8
    expect NRestarts 0 "$(property NRestarts)"
    kill -STOP "$process"
    eventually was_restarted
    eventually systemctl is-active ipvs-sampler
    [ "$(property MainPID)" != "$process" ]
    rm -r /run/systemd/system/ipvs-sampler.service.d
    systemctl daemon-reload
    systemctl stop ipvs-sampler
}
was_restarted() { [ "$(property NRestarts)" = 1 ]; }

a_wrong_configuration_is_said_and_not_tried_again() {
    configure 'interval = "soon"'
    systemctl start ipvs-sampler && return 1
    expect ExecMainStatus 78 "$(property ExecMainStatus)"
    expect Result exit-code "$(property Result)"
    expect ActiveState failed "$(property ActiveState)"
    expect NRestarts 0 "$(property NRestarts)"
    eventually journal_has 'config.toml:1: interval: .*soon'
    systemctl reset-failed ipvs-sampler
}

purging_stops_it_and_leaves_nothing() {
    configure 'interval = "1s"' 'output = ["file:/var/log/ipvs-sampler/lines"]'
    systemctl enable --now ipvs-sampler
    eventually has_lines '^ipvs_real_server,'
    dpkg -P ipvs-sampler
    ! grep -l -x ipvs-sampler /proc/[0-9]*/comm
    expect loaded not-found "$(property LoadState)"
    expect files '' "$(find / -xdev \( -path /proc -o -path /sys -o -path '/run/log' \) -prune -o -name '*ipvs-sampler*' -print)"
}

for name in \
    installing_neither_enables_nor_starts_it \
    as_it_comes_it_starts_and_waits_for_ipvs \
    it_reads_live_when_ipvs_is_there \
    lines_reach_the_journal_with_what_was_counted \
    it_has_no_more_rights_than_the_unit_leaves_it \
    asked_to_it_keeps_only_what_netlink_takes \
    it_stops_cleanly_in_time \
    a_reload_reads_its_configuration_and_opens_its_files_anew \
    one_that_hangs_is_started_again \
    a_wrong_configuration_is_said_and_not_tried_again \
    purging_stops_it_and_leaves_nothing; do
    before=$failed
    check "$name"
    if [ "$failed" != "$before" ]; then
        journalctl --no-pager --lines=30 | sed 's/^/  journal: /'
        systemctl --no-pager status ipvs-sampler | sed 's/^/  status: /'
    fi
done
conclude
echo "guest: exit $?"
systemctl poweroff --force --force
