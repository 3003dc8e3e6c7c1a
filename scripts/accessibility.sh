#!/usr/bin/env bash
# Holds the public pages against axe-core: light and dark, wide and narrow. Fails for a serious or critical
# issue. Needs chromium, curl, and node with npm, which fetches axe-core and puppeteer-core.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/public-pages.sh

tools=$data/tools
mkdir -p "$tools"
npm install --silent --no-audit --no-fund --prefix "$tools" axe-core@4.14 puppeteer-core@24 > /dev/null
check() { NODE_PATH=$tools/node_modules node scripts/accessibility.cjs "$browser" "MAP $host 127.0.0.1:$port" "$@"; }

bad=0
standing active
check "list=http://$host/" "post=http://$host/$article" "not found=http://$host/nothing" \
    "preferences=$preferences" "saved=$preferences&saved=1" "unsubscribe=$unsubscribe" "expired=$expired" \
    "subscribe=http://$host/subscribe" "no page=http://$host/subscribe?wid=nobody" "arabic=http://$host/subscribe#ar" || bad=1
standing pending
check "confirm=$confirm" "pending=$preferences" || bad=1
standing bounced
check "bounced=$preferences" || bad=1
exit $bad
