#!/usr/bin/env bash
# Stops a Synchrony that start-synchrony.sh started.

SYNCHRONY_PID_FILE="@SYNCHRONY_PID_FILE@"

kill "$(cat "$SYNCHRONY_PID_FILE")" && rm -f "$SYNCHRONY_PID_FILE"
