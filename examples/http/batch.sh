#!/bin/sh
# Enqueue a CSV file over HTTP, wait until the batch is settled, and get the report.
#
#   HABILITA_URL=http://127.0.0.1:8080 HABILITA_API_KEY=... ./batch.sh operations.csv november
#
# It exits with 0 if every row was enqueued and every call of the batch succeeded, otherwise with 1.
# HABILITA_WAIT is how many seconds it waits; 600 if not set.
set -u
[ $# = 2 ] || { echo "usage: FILE BATCH" >&2; exit 1; }
file=$1 batch=$2
[ -f "$file" ] && [ -r "$file" ] || { echo "$file is not there, or is no file that can be read" >&2; exit 1; }
deadline=$(($(date +%s) + ${HABILITA_WAIT:-600}))
answer=$(mktemp) || exit 1
trap 'rm -f "$answer"' EXIT

# encoded TEXT: percent-encoded, byte by byte, for a query or a path.
encoded() { printf %s "$1" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g'; }

# ask CURL-ARGUMENTS: puts the answer into $answer. It asks again until the deadline, but not if the
# answer will stay the same: of the 4xx statuses only 408 and 429 may pass by themselves.
ask() {
  delay=1
  while :; do
    left=$((deadline - $(date +%s)))
    [ $left -gt 0 ] || left=1
    # curl reads the key from standard input, so that no process has it among its arguments.
    status=$(printf 'header = "Authorization: Bearer %s"\n' "$HABILITA_API_KEY" |
      curl --config - --silent --show-error --max-time $left --output "$answer" --write-out '%{http_code}' "$@")
    case $status in
    2??) return 0 ;;
    408 | 429 | 5?? | 000) ;;
    *) break ;;
    esac
    [ $(($(date +%s) + delay)) -lt "$deadline" ] || break
    sleep $delay
    [ $delay -ge 30 ] || delay=$((delay * 2))
  done
  echo "HTTP $status" >&2
  [ "$status" = 000 ] || cat "$answer" >&2
  return 1
}

# count NAME: prints a number from the JSON in $answer.
count() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$answer"; }

url=$HABILITA_URL/v1/batches name=$(encoded "$batch")
# Sending all of it again adds only what is missing, so asking again is harmless.
ask -T "$file" -X POST -H 'Content-Type: text/csv' "$url?batch=$name" || exit 1
cat "$answer" >&2
left_out=$(($(count rows) - $(count enqueued) - $(count duplicates)))
while :; do
  ask "$url/$name" || exit 1
  grep -q '"settled":true' "$answer" && break
  [ "$(date +%s)" -lt "$deadline" ] || { echo "the batch did not settle in time" >&2; exit 1; }
  sleep 1
done
not_done=$(($(count total) - $(count succeeded)))
ask "$url/$name/calls.csv" || exit 1
cat "$answer"
[ "$left_out" = 0 ] && [ "$not_done" = 0 ] || {
  echo "$left_out rows were not enqueued, $not_done calls did not succeed" >&2
  exit 1
}
