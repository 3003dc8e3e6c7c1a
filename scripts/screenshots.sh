#!/usr/bin/env bash
# Takes the pictures of the public pages in docs/pages: plays the demo, publishes two of its newsletters,
# and looks at the pages with a headless Chromium. Needs chromium and curl.
set -euo pipefail
cd "$(dirname "$0")/.."

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "chromium is needed: apt-get install chromium" >&2
    exit 1
}
port=${PORT:-18080}
host=news.nordlys.example
out=docs/pages
data=$(mktemp -d)
mkdir -p "$out"

cargo build --release --bin notifuse
target=${CARGO_TARGET_DIR:-target}
ROOT_EMAIL=root@nordlys.example SERVER_PORT=$port "$target/release/notifuse" demo --serve --data-dir "$data" > "$data/log" &
server=$!
trap 'kill $server; rm -rf "$data"' EXIT
until grep -q "The server stays up" "$data/log"; do
    kill -0 $server || { cat "$data/log" >&2; exit 1; }
    sleep 0.2
done

api=http://127.0.0.1:$port/api
member() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/"; }
post() { curl --fail-with-body -sS -H "Authorization: Bearer ${token-}" -H 'Content-Type: application/json' -d "$2" "$api/$1"; }

code=$(post user.signin '{"email":"root@nordlys.example"}' | member code)
token=$(post user.verify "{\"email\":\"root@nordlys.example\",\"code\":\"$code\"}" | member token)
post workspaces.update "{\"id\":\"demo\",\"name\":\"Nordlys Coffee\",\"settings\":{\"timezone\":\"Europe/Copenhagen\",
    \"default_language\":\"en\",\"languages\":[\"en\"],\"custom_endpoint_url\":\"http://$host\"}}" > /dev/null

publish() {
    local id
    id=$(post broadcasts.create "{\"workspace_id\":\"demo\",\"name\":\"$1\",\"audience\":{\"list\":\"news\"},
        \"test_settings\":{\"variations\":[{\"template_id\":\"newsletter\"}]},\"channels\":{\"email\":false,\"web\":true},
        \"web_settings\":{\"slug\":\"$2\",\"meta_description\":\"$3\"}}" | grep -oE '"id":"[0-9a-f]{32}"' | member id)
    post broadcasts.schedule "{\"workspace_id\":\"demo\",\"id\":\"$id\",\"send_now\":true}" > /dev/null
    echo "$2-$id"
}
publish "Roasting in the dark months" dark-months "How we roast when the sun stays away." > /dev/null
article=$(publish "The new harvest" new-harvest "What grew this year, and what it tastes like.")

# the links in the mail that the demo kept, with soft line breaks and escapes undone
links=$(sed -z 's/=\r\?\n//g; s/=3D/=/g; s/&amp;/\&/g' "$data/newsletter.eml")
link() { grep -oE "https?://[^\" >)]*$1[^\" >)]*" <<< "$links" | head -1 | sed -E "s#https?://[^/]*#http://$host#"; }

shoot() {
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size="$3" \
        --host-resolver-rules="MAP $host 127.0.0.1:$port" ${4-} --screenshot="$out/$1.png" "$2" 2> /dev/null
    echo "$out/$1.png"
}
shoot list "http://$host/" 900,700
shoot list-dark "http://$host/" 900,700 --force-dark-mode --blink-settings=preferredColorScheme=0
shoot post "http://$host/$article" 900,1400
shoot post-narrow "http://$host/$article" 420,1400
shoot preferences "$(link 'notification-center\?email')" 900,500
shoot unsubscribe "$(link 'notification-center\?action=unsubscribe')" 900,500
