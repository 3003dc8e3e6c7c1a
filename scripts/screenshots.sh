#!/usr/bin/env bash
# Takes the pictures of the public pages in docs/pages with a headless Chromium, over the demo.
set -euo pipefail
cd "$(dirname "$0")/.."
out=docs/pages
mkdir -p "$out"
source scripts/public-pages.sh

shoot() {
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --lang=en --window-size="$3" \
        --host-resolver-rules="MAP $host 127.0.0.1:$port" "${@:4}" --screenshot="$out/$1.png" "$2" 2> /dev/null
    echo "$out/$1.png"
}
dark=(--force-dark-mode --blink-settings=preferredColorScheme=0)
shoot list "http://$host/" 900,700
shoot list-dark "http://$host/" 900,700 "${dark[@]}"
shoot post "http://$host/$article" 900,1400
shoot post-narrow "http://$host/$article" 500,1400
standing active
shoot preferences "$preferences" 900,1080
shoot preferences-dark "$preferences" 900,1080 "${dark[@]}"
shoot preferences-narrow "$preferences" 500,1300
shoot unsubscribe "$unsubscribe" 900,480
shoot unsubscribe-dark "$unsubscribe" 900,480 "${dark[@]}"
standing pending
shoot confirm "$confirm" 900,440
shoot confirm-dark "$confirm" 900,440 "${dark[@]}"
shoot subscribe "http://$host/subscribe" 900,980
shoot subscribe-dark "http://$host/subscribe" 900,980 "${dark[@]}"
shoot subscribe-narrow "http://$host/subscribe" 500,1180
shoot expired "$expired" 900,620
