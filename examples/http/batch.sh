#!/bin/sh
# Enqueue a CSV file over HTTP, wait until the batch is settled, and get the report.
#
#   HABILITA_URL=http://127.0.0.1:8080 HABILITA_API_KEY=... ./batch.sh operations.csv november
set -eu
file=$1 batch=$2

# The key comes from standard input, so that it is in no process's arguments.
ask() {
  printf 'header = "Authorization: Bearer %s"\n' "$HABILITA_API_KEY" |
    curl --config - --silent --show-error --fail-with-body --retry 5 --retry-connrefused "$@"
}

# Sending all of it again adds only what is missing, so --retry is harmless.
ask -T "$file" -X POST -H 'Content-Type: text/csv' "$HABILITA_URL/v1/batches?batch=$batch" >&2
while ! ask "$HABILITA_URL/v1/batches/$batch" | grep -q '"settled":true'; do sleep 1; done
ask "$HABILITA_URL/v1/batches/$batch/calls.csv"
