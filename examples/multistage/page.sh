# Prints a page. $1: its heading.
set -eu
cat <<END
<!doctype html>
<title>lapstrake</title>
<h1>$1</h1>
END
