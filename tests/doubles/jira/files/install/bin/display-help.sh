#!/usr/bin/env bash
echo "Usage: start-jira.sh [-fg]"
echo "    -fg    Start Jira in the foreground"
