#!/usr/bin/env bash
echo "Usage: start-confluence.sh [-fg]"
echo "    -fg    Start Confluence in the foreground"
