<?php
// Enqueue a call over HTTP, and wait for its result.
//
//   HABILITA_URL=http://127.0.0.1:8080 HABILITA_API_KEY=... WOLKVOX_TOKEN=... php call.php 0042 order-1001
//
// It exits with 0 if the call succeeded, otherwise with 1. HABILITA_WAIT is how many seconds it waits; 600 if not set.

$deadline = time() + (int) (getenv('HABILITA_WAIT') ?: 600);

function fail(string $why): never
{
    fwrite(STDERR, "$why\n");
    exit(1);
}

// Asks again until the deadline, but not if the answer will stay the same.
function ask(string $method, string $path, array $headers = [], ?array $body = null): array
{
    for ($delay = 1; ; $delay = min(2 * $delay, 30)) {
        $curl = curl_init(getenv('HABILITA_URL') . $path);
        curl_setopt_array($curl, [
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT => 30,
            CURLOPT_HTTPHEADER => array_merge(['Authorization: Bearer ' . getenv('HABILITA_API_KEY')], $headers),
        ]);
        if ($body !== null) {
            curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($body, JSON_THROW_ON_ERROR));
        }
        $text = curl_exec($curl);
        $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
        if ($text !== false && $status < 300) {
            return json_decode($text, true, 512, JSON_THROW_ON_ERROR);
        }
        $why = $text === false ? curl_error($curl) : "HTTP $status $text";
        // Of the 4xx statuses only these may pass by themselves. A wrong key stays wrong.
        $passes = $text === false || $status >= 500 || in_array($status, [408, 429], true);
        if (!$passes || time() + $delay >= $GLOBALS['deadline']) {
            fail($why);
        }
        sleep($delay);
    }
}

if ($argc !== 3) {
    fail('usage: SERVER ORDER');
}
[, $server, $order] = $argv;
// With the same key it is the same call, so sending it again is harmless.
$receipt = ask('POST', '/v1/calls', ['Content-Type: application/json', "Idempotency-Key: $order"], [
    'server' => $server,
    'token' => getenv('WOLKVOX_TOKEN'),
    'licenses' => 5,
]);
echo "enqueued {$receipt['id']}\n";
while (true) {
    $call = ask('GET', $receipt['call']);
    if (!in_array($call['state'], ['queued', 'running', 'waiting'], true)) {
        break;
    }
    if (time() >= $deadline) {
        fail('the call is enqueued, and had no result in time');
    }
    sleep(1);
}
echo "{$call['state']} {$call['code']} {$call['msg']} {$call['error']}\n";
exit($call['state'] === 'succeeded' ? 0 : 1);
