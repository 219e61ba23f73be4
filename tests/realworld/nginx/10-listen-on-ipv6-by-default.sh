#!/bin/sh
# ipv6
