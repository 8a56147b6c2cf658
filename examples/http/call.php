<?php
// Enqueue a call over HTTP, and wait for its result.
//
//   HABILITA_URL=http://127.0.0.1:8080 HABILITA_API_KEY=... WOLKVOX_TOKEN=... php call.php 0042 order-1001

function ask(string $method, string $path, array $headers = [], ?array $body = null): array
{
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
    if ($text === false || $status >= 300) {
        throw new RuntimeException($text === false ? curl_error($curl) : "$status $text");
    }
    return json_decode($text, true, 512, JSON_THROW_ON_ERROR);
}

[, $server, $order] = $argv;
// The same key makes it the same call: sending it again is harmless.
for ($try = 1; ; $try++) {
    try {
        $receipt = ask('POST', '/v1/calls', ['Content-Type: application/json', "Idempotency-Key: $order"], [
            'server' => $server,
            'token' => getenv('WOLKVOX_TOKEN'),
            'licenses' => 5,
        ]);
        break;
    } catch (RuntimeException $e) {
        if ($try === 5) {
            throw $e;
        }
        sleep($try);
    }
}
echo "enqueued {$receipt['id']}\n";
do {
    sleep(1);
    $call = ask('GET', $receipt['call']);
} while (in_array($call['state'], ['queued', 'running', 'waiting'], true));
echo "{$call['state']} {$call['code']} {$call['msg']} {$call['error']}\n";
exit($call['state'] === 'succeeded' ? 0 : 1);
