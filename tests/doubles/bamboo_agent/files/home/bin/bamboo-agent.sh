#!/usr/bin/env bash
# Starts and stops the agent: start, stop, restart, status, or console for the foreground.

cd "$(dirname "$(readlink -f "$0")")" || exit 1
pid_file=./bamboo-agent.pid

# The number may be another process's after a reboot, that of the search itself among them, which must not find itself.
running() {
    [ -r "$pid_file" ] && grep -qs 'wrapper[.]sh' "/proc/$(cat "$pid_file")/cmdline"
}

start() {
    running && exit 0
    nohup ./wrapper.sh ../conf/wrapper.conf >/dev/null 2>&1 </dev/null &
    echo $! >"$pid_file"
}

stop() {
    running || return 0
    kill "$(cat "$pid_file")"
    for _second in $(seq 30); do
        running || break
        sleep 1
    done
    rm -f "$pid_file"
}

case "$1" in
    console) exec ./wrapper.sh ../conf/wrapper.conf ;;
    start) start ;;
    stop) stop ;;
    restart)
        stop
        start
        ;;
    status) running ;;
    *)
        echo "Usage: bamboo-agent.sh console | start | stop | restart | status"
        exit 1
        ;;
esac
