#!/usr/bin/env bash
# Sourced by scripts that look at the public pages: plays the demo, publishes two of its newsletters, opens its
# lists to the public, and names the pages. Needs chromium and curl. PROFILE=dev takes the debug build.

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "chromium is needed: apt-get install chromium" >&2
    exit 1
}
port=${PORT:-18080}
host=news.nordlys.example
data=$(mktemp -d)

profile=${PROFILE:-release}
cargo build --profile "$profile" --workspace --bins
folder=${CARGO_TARGET_DIR:-target}/$([ "$profile" = dev ] && echo debug || echo "$profile")
ROOT_EMAIL=root@nordlys.example SERVER_PORT=$port "$folder/notifuse" demo --serve --data-dir "$data" > "$data/log" &
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
settings=$(curl -sS -H "Authorization: Bearer $token" "$api/workspaces.get?id=demo")
provider=$(grep -oE '"marketing_email_provider_id":"[^"]*"' <<< "$settings")
post workspaces.update "{\"id\":\"demo\",\"name\":\"Nordlys Coffee\",\"settings\":{\"timezone\":\"Europe/Copenhagen\",
    \"default_language\":\"en\",\"languages\":[\"en\"],\"custom_endpoint_url\":\"http://$host\",$provider}}" > /dev/null

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

post lists.update '{"workspace_id":"demo","id":"news","name":"The Nordlys letter","is_public":true,
    "description":"Once a month: what we roast, and why."}' > /dev/null
offers() { post "lists.$1" "{\"workspace_id\":\"demo\",\"id\":\"offers\",\"name\":\"Offers and tastings\",\"is_public\":true,
    \"is_double_optin\":true,\"description\":\"A few times a year, before everybody else hears of it.\"}"; }
offers create > /dev/null
post lists.create '{"workspace_id":"demo","id":"shop","name":"News from the shop","is_public":true,
    "description":"New beans, and when we are open."}' > /dev/null

# A dry run of a broadcast shows the links of a contact: none is mailed.
reader=alma@nordlys.example
post lists.subscribe "{\"workspace_id\":\"demo\",\"contact\":{\"email\":\"$reader\",\"first_name\":\"Alma\",\"last_name\":\"Lind\",
    \"timezone\":\"Europe/Copenhagen\"},\"list_ids\":[\"offers\",\"news\"]}" > /dev/null
anchors='<a href=\"{{ notification_center_url }}\">1</a> <a href=\"{{ unsubscribe_url }}\">2</a> <a href=\"{{ confirm_subscription_url }}\">3</a>'
mjml="<mjml><mj-body><mj-section><mj-column><mj-text>$anchors</mj-text></mj-column></mj-section></mj-body></mjml>"
post templates.create "{\"workspace_id\":\"demo\",\"id\":\"links\",\"name\":\"Links\",\"channel\":\"email\",\"category\":\"other\",
    \"email\":{\"editor_mode\":\"code\",\"subject\":\"Links\",\"mjml_source\":\"$mjml\"}}" > /dev/null
draft=$(post broadcasts.create '{"workspace_id":"demo","name":"Links","audience":{"list":"offers"},
    "test_settings":{"variations":[{"template_id":"links"}]}}' | grep -oE '"id":"[0-9a-f]{32}"' | member id)
links=$(curl --fail-with-body -sS -H "Authorization: Bearer $token" "$api/broadcasts.plan?workspace_id=demo&id=$draft" | sed 's/&amp;/\&/g')
link() { grep -oE "https?://[^\"\\ >)]*$1[^\"\\ >)]*" <<< "$links" | head -1; }
preferences=$(link 'notification-center\?email')
unsubscribe=$(link 'notification-center\?action=unsubscribe')
confirm=$(link 'notification-center\?action=confirm')
expired=${preferences/email_hmac=/email_hmac=f}
[ -n "$preferences" ] && [ -n "$unsubscribe" ] && [ -n "$confirm" ] || { echo "the links of a contact are missing" >&2; exit 1; }
# Both links are about the same list: the one that is left is read while the contact is on it.
standing() { post contactLists.updateStatus "{\"workspace_id\":\"demo\",\"email\":\"$reader\",\"list_id\":\"offers\",\"status\":\"$1\"}" > /dev/null; }
