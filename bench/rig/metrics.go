package rig

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Metrics is one reading of a /metrics page: series as written, name and labels, to value.
type Metrics map[string]float64

// ReadMetrics fetches url.
func ReadMetrics(ctx context.Context, url string) (Metrics, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading metrics: %s", resp.Status)
	}
	return parseMetrics(resp.Body)
}

// parseMetrics reads the text format: comments, and lines of series, space, value.
func parseMetrics(r io.Reader) (Metrics, error) {
	m := Metrics{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		if i < 0 {
			return nil, fmt.Errorf("reading metrics: %q is no sample", line)
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("reading metrics: %w", err)
		}
		m[line[:i]] = v
	}
	return m, lines.Err()
}

// Minus gives what was added since an earlier reading.
func (m Metrics) Minus(before Metrics) Metrics {
	d := make(Metrics, len(m))
	for series, v := range m {
		d[series] = v - before[series]
	}
	return d
}

// Quantile estimates a quantile of the histogram name, label sets that contain label (such as
// `stream="proofs"`, or "" for all) taken together: the upper bound of the bucket it lies in, which never
// flatters. ok is false when there is no such histogram or it is empty; +Inf means beyond the last bucket.
func (m Metrics) Quantile(name, label string, q float64) (bound float64, ok bool) {
	counts := map[float64]float64{}
	for series, v := range m {
		rest, is := strings.CutPrefix(series, name+"_bucket{")
		if !is || !strings.Contains(rest, label) {
			continue
		}
		_, after, is := strings.Cut(rest, `le="`)
		le, err := strconv.ParseFloat(after[:max(0, strings.IndexByte(after, '"'))], 64)
		if is && err == nil {
			counts[le] += v
		}
	}
	total := counts[math.Inf(1)]
	if total == 0 {
		return 0, false
	}
	bounds := make([]float64, 0, len(counts))
	for le := range counts {
		bounds = append(bounds, le)
	}
	slices.Sort(bounds)
	for _, le := range bounds {
		if counts[le] >= q*total {
			return le, true
		}
	}
	return math.Inf(1), true
}
