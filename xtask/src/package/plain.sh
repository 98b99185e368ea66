# Runs in a Debian root in which nothing else runs; /package.deb is the package.
cd /

# Everything but dpkg's own book-keeping of times and states, and man's index.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp \
        -o -path '/var/lib/dpkg/*-old' -o -path '/var/lib/dpkg/lock*' -o -path /var/log/dpkg.log \
        -o -path /var/cache/man \) \
        -prune -o -print | LC_ALL=C sort
}

it_installs_without_a_complaint() {
    local words
    words=$(dpkg -i /package.deb 2>&1)
    echo "$words"
    ! grep -i -E 'warning|error|failed' <<<"$words"
    expect status 'install ok installed' "$(dpkg-query -W -f '${Status}' ipvs-sampler)"
    expect verification '' "$(dpkg --verify ipvs-sampler)"
}

everything_belongs_to_root_and_nobody_else_may_write() {
    dpkg -L ipvs-sampler | while read -r path; do
        [ -e "$path" ] || { echo "$path is not there"; exit 1; }
        expect "$path" 'root root' "$(stat -c '%U %G' "$path")"
    done
    expect 'writable' '' "$(dpkg -L ipvs-sampler | xargs -d '\n' -I{} find {} -maxdepth 0 ! -type l -perm /022)"
}

the_program_runs() {
    expect version "ipvs-sampler $(dpkg-query -W -f '${Version}' ipvs-sampler | sed 's/-1$//; s/~/-/')" \
        "$(ipvs-sampler --version)"
    expect program /usr/bin/ipvs-sampler "$(command -v ipvs-sampler)"
}

the_configurations_are_right() {
    ipvs-sampler config check
    ipvs-sampler config show | grep -q -e '^output = .*config.toml:'
    ipvs-sampler config check --config /usr/share/doc/ipvs-sampler/examples/config.toml
}

it_is_neither_enabled_nor_started() {
    expect enabled disabled "$(systemctl --root=/ is-enabled ipvs-sampler || true)"
    expect links '' "$(find /etc/systemd -name 'ipvs-sampler*')"
    ! grep -l -x ipvs-sampler /proc/[0-9]*/comm
}

the_unit_is_right() {
    expect words '' "$(systemd-analyze verify --man=no /lib/systemd/system/ipvs-sampler.service 2>&1)"
}

the_unit_exposes_little() {
    # In tenths, from 0 (locked up) to 100.
    systemd-analyze security --no-pager --offline=true --threshold=27 \
        /lib/systemd/system/ipvs-sampler.service
}

the_manual_renders_without_warnings() {
    local page words count=0
    for page in /usr/share/man/man1/ipvs-sampler*.1.gz; do
        words=$(MANWIDTH=80 man --warnings --local-file "$page" 2>&1 >/tmp/page)
        expect "$page" '' "$words"
        col -b </tmp/page | grep -q '^EXIT STATUS'
        count=$((count + 1))
    done
    expect pages 9 "$count"
    man ipvs-sampler-run | col -b | grep -q -e --resolution
}

bash_completes_options_and_subcommands() {
    local function
    source /usr/share/bash-completion/completions/ipvs-sampler
    # complete -F FUNCTION -o ... ipvs-sampler
    function=$(complete -p ipvs-sampler | grep -o -e '-F [^ ]*' | cut -c 4-)
    COMP_WORDS=(ipvs-sampler run --res) COMP_CWORD=2
    "$function" ipvs-sampler --res run
    expect options --resolution "${COMPREPLY[*]}"
    COMP_WORDS=(ipvs-sampler doc) COMP_CWORD=1
    "$function" ipvs-sampler doc ipvs-sampler
    expect subcommands doctor "${COMPREPLY[*]}"
}

zsh_loads_its_completions() {
    zsh -f -c 'autoload -U compinit && compinit -u -D && [[ ${_comps[ipvs-sampler]} == _ipvs-sampler ]]'
    zsh -f -n /usr/share/zsh/vendor-completions/_ipvs-sampler
}

fish_completes_options() {
    local words
    words=$(HOME=/tmp fish --no-config -c 'source /usr/share/fish/vendor_completions.d/ipvs-sampler.fish
        complete -C "ipvs-sampler run --resol"')
    [[ $words == --resolution* ]] || { echo "$words"; exit 1; }
}

removal_keeps_the_configuration_and_purging_nothing() {
    echo '# the operator was here' >>/etc/ipvs-sampler/config.toml
    dpkg -r ipvs-sampler
    expect configuration 1 "$(grep -c 'the operator was here' /etc/ipvs-sampler/config.toml)"
    [ ! -e /usr/bin/ipvs-sampler ]
    # What an enabled service leaves that has run.
    mkdir -p /etc/systemd/system/multi-user.target.wants /var/log/private/ipvs-sampler
    ln -s /lib/systemd/system/ipvs-sampler.service /etc/systemd/system/multi-user.target.wants/
    ln -s private/ipvs-sampler /var/log/ipvs-sampler
    dpkg -P ipvs-sampler
    rmdir --ignore-fail-on-non-empty /etc/systemd/system/multi-user.target.wants
    diff <(echo "$before") <(files)
}

before=$(files)
check it_installs_without_a_complaint
check everything_belongs_to_root_and_nobody_else_may_write
check the_program_runs
check the_configurations_are_right
check it_is_neither_enabled_nor_started
check the_unit_is_right
check the_unit_exposes_little
check the_manual_renders_without_warnings
check bash_completes_options_and_subcommands
check zsh_loads_its_completions
check fish_completes_options
check removal_keeps_the_configuration_and_purging_nothing
conclude
