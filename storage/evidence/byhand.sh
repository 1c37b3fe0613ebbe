#!/usr/bin/env bash
# Checks the first proof of an evidence file with jq, sha256sum and openssl alone: the text that was shown, the entry
# of the choice, its place in the log, and the signature over the log.
#
#   bash byhand.sh evidence.json consentd/e1+37b4e015+AVmOpV+iVunzjBnswuc2BUHkDrD5mSTPKoAttckIPHCy
set -euo pipefail
file=$1 key=$2 work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
take() { jq -j "$1" "$file"; }
hash() { openssl dgst -sha256 -binary; }

# The text: what its entry calls its hash is the SHA-256 of the document in the file.
wording=$(take '.evidence.proofs[0].facts | fromjson | .wording')
take ".evidence.published[] | select(.entry | fromjson | .kind == \"wording\" and .hash == \"$wording\") | .doc" | sha256sum --quiet -c <(echo "$wording  -")
echo "text $wording"

# The entry: a leaf is the SHA-256 of a zero byte and the facts.
{ printf '\0'; take '.evidence.proofs[0].facts'; } | hash >"$work/node"
echo "leaf $(od -An -v -tx1 "$work/node" | tr -d ' \n')"

# Its place: the audit path leads from the leaf to the root that the checkpoint names (RFC 9162, 2.1.3.2).
take '.evidence.logs.proofs.checkpoint' >"$work/note"
n=$(take '.evidence.proofs[0].index') last=$(($(sed -n 2p "$work/note") - 1))
for side in $(take '.evidence.proofs[0].inclusion | join(" ")'); do
  base64 -d <<<"$side" >"$work/side"
  if ((n % 2 == 1 || n == last)); then
    { printf '\1'; cat "$work/side" "$work/node"; } | hash >"$work/up"
    while ((n % 2 == 0 && n > 0)); do n=$((n / 2)) last=$((last / 2)); done
  else
    { printf '\1'; cat "$work/node" "$work/side"; } | hash >"$work/up"
  fi
  mv "$work/up" "$work/node"
  n=$((n / 2)) last=$((last / 2))
done
[ "$last" = 0 ]
[ "$(base64 <"$work/node")" = "$(sed -n 3p "$work/note")" ]
echo "root $(base64 <"$work/node")"

# The signature: over everything up to the empty line, by the key given. In a key file for openssl the 32 bytes of an
# Ed25519 key stand behind 12 that say so.
sed '/^$/,$d' "$work/note" >"$work/text"
sed -n '$p' "$work/note" | cut -d ' ' -f 3 | base64 -d | tail -c 64 >"$work/signature"
{ printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00'; cut -d + -f 3- <<<"$key" | base64 -d | tail -c 32; } >"$work/key"
openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key" -rawin -in "$work/text" -sigfile "$work/signature" >/dev/null
echo "signed by $key"
