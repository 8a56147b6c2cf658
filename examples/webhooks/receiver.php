<?php
// Receive habilita's webhooks: check them, drop duplicates, and write each event as a line of JSON.
//
//   WEBHOOK_SECRET=whsec_... WEBHOOK_DIR=/var/lib/webhooks php -S 127.0.0.1:9000 receiver.php
//
// WEBHOOK_DIR keeps the ids that were seen, and events.jsonl. While a secret changes, give both in
// WEBHOOK_SECRET, comma separated. From time to time, delete files older than two days from the folder "seen".

const TOLERANCE = 300; // seconds

function answer(int $status): never
{
    http_response_code($status);
    exit;
}

// Reports whether one of the secrets made one of the signatures.
function genuine(string $id, string $at, string $signatures, string $body): bool
{
    if ($id === '' || !ctype_digit($at) || abs(time() - (int) $at) > TOLERANCE) {
        return false;
    }
    foreach (explode(',', (string) getenv('WEBHOOK_SECRET')) as $secret) {
        $secret = trim($secret);
        $key = str_starts_with($secret, 'whsec_') ? base64_decode(substr($secret, 6), true) : false;
        if ($key === false || $key === '') {
            continue;
        }
        $want = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$at.$body", $key, true));
        foreach (explode(' ', $signatures) as $signature) {
            if (hash_equals($want, $signature)) {
                return true;
            }
        }
    }
    return false;
}

$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$body = (string) file_get_contents('php://input', false, null, 0, 1 << 20);
if (!genuine($id, $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '', $body)) {
    answer(400);
}

$dir = getenv('WEBHOOK_DIR') ?: answer(500);
@mkdir("$dir/seen", 0700, true);
// Only the first one makes the file. The name is a hash, since the id comes from outside.
$mark = @fopen("$dir/seen/" . hash('sha256', $id), 'x');
if ($mark !== false) {
    fclose($mark);
    if (file_put_contents("$dir/events.jsonl", "$body\n", FILE_APPEND | LOCK_EX) === false) {
        unlink("$dir/seen/" . hash('sha256', $id)); // it comes again
        answer(500);
    }
}
answer(204);
