#!/bin/sh
# Runs what standard input holds in a server that lives only for that; systemd is not there while an image is built.
set -e
mkdir -p /run/mysqld
chown mysql:mysql /run/mysqld
mariadbd-safe --skip-networking >/dev/null 2>&1 &
for _try in $(seq 60); do
    mariadb-admin ping >/dev/null 2>&1 && break
    sleep 0.5
done
mariadb
mariadb-admin shutdown
wait
