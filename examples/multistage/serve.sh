#!/bin/sh
# "show" prints what the image was built with, "http" serves it.
case "$1" in
    show)
        echo "$GREETING"
        cat /srv/counted.txt
        ;;
    http) exec httpd -f -p "$PORT" -h /srv ;;
    *) exec "$@" ;;
esac
