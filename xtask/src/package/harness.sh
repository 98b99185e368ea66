# Checks are functions. One ends at its first command that fails, and what it printed is shown then.
passed=0
failed=0

check() {
    local output status
    output=$(set -e; "$1" 2>&1)
    status=$?
    if [ "$status" = 0 ]; then
        passed=$((passed + 1))
        echo "test $1 ... ok"
    else
        failed=$((failed + 1))
        echo "test $1 ... FAILED"
        sed 's/^/  /' <<<"$output"
    fi
}

conclude() {
    local word=ok
    [ "$failed" = 0 ] || word=FAILED
    echo "test result: $word. $passed passed; $failed failed; 0 ignored; 0 measured; 0 filtered out"
    [ "$failed" = 0 ]
}

# Waits until a command succeeds.
eventually() {
    local left
    for left in {1..150}; do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    echo "never happened: $*"
    return 1
}

# Says what is not as it should be.
expect() {
    if [ "$2" != "$3" ]; then
        echo "$1: expected \`$2\`, found \`$3\`"
        return 1
    fi
}
