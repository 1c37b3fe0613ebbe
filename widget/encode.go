package widget

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
)

// A script that misses Budget by no more than luck bytes is compressed again with one line feed more at its end, up to
// tries times. The encoder takes samples to find where one kind of text ends and another begins; their places follow from
// the length, and with them some 20 bytes more or less.
const luck, tries = 48, 8

// finish compresses js as far as it goes: it is done once and served many times.
func finish(js []byte, metafile string) (*Bundle, error) {
	br, err := brotlied(js)
	for longer, n := js, 0; err == nil && len(br) > Budget && len(br) <= Budget+luck && n < tries; n++ {
		longer = append(longer, '\n')
		var again []byte
		if again, err = brotlied(longer); len(again) < len(br) {
			js, br = longer, again
		}
	}
	if err != nil {
		return nil, fmt.Errorf("compressing with brotli: %w", err)
	}
	gz, err := gzipped(js)
	if err != nil {
		return nil, fmt.Errorf("compressing with gzip: %w", err)
	}
	sum, integrity := sha256.Sum256(js), sha512.Sum384(js)
	hash := hex.EncodeToString(sum[:8])
	return &Bundle{
		JS: js, Brotli: br, Gzip: gz,
		Hash:      hash,
		ETag:      `W/"` + hash + `"`,
		Integrity: "sha384-" + base64.StdEncoding.EncodeToString(integrity[:]),
		Metafile:  metafile,
	}, nil
}

func brotlied(js []byte) ([]byte, error) {
	var buf bytes.Buffer
	w := brotli.NewWriterLevel(&buf, brotli.BestCompression)
	if _, err := w.Write(js); err != nil {
		return nil, err
	}
	err := w.Close()
	return buf.Bytes(), err
}

func gzipped(js []byte) ([]byte, error) {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(js); err != nil {
		return nil, err
	}
	err = w.Close()
	return buf.Bytes(), err
}
