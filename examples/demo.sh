#!/bin/sh
# The demo: busybox as the base, two builds, one tarball. Needs no registry and no root. $1: the lapstrake to use.
set -eu
lapstrake=$1
here=$(cd "$(dirname "$0")" && pwd)
work=${DEMO_FOLDER:-$here/../.demo}
mkdir -p "$work/base"
work=$(cd "$work" && pwd)
export LAPSTRAKE_ROOT="$work/store"

if [ ! -x "$work/base/busybox" ]; then
    if [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1; then
        cp /bin/busybox "$work/base/busybox"
    else
        echo "fetching busybox-static"
        (
            cd "$work"
            apt-get download -qq busybox-static || {
                echo "no package lists yet: run 'apt-get update' once, as root" >&2
                exit 1
            }
            dpkg-deb -x busybox-static_*.deb unpacked
            cp unpacked/bin/busybox base/busybox 2>/dev/null || cp unpacked/usr/bin/busybox base/busybox
        )
    fi
    chmod 755 "$work/base/busybox"
fi
cp "$here/base/Dockerfile" "$work/base/Dockerfile"

begin=$(date +%s%N)
"$lapstrake" build -t demo/base "$work/base"
"$lapstrake" build -t demo/app -o "type=docker,dest=$work/demo-app.tar" "$here/multistage"
end=$(date +%s%N)

echo
echo "both builds took $(((end - begin) / 1000000)) ms"
echo "the image is $work/demo-app.tar; load and run it with:"
echo "  docker load -i $work/demo-app.tar && docker run --rm demo/app"
