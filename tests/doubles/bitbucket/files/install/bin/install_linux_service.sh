#!/usr/bin/env bash
echo "This stand-in has a unit already."
