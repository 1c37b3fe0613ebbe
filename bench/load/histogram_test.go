package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestEveryBucketEndsWhereTheNextBegins(t *testing.T) {
	for i := range histBuckets {
		if got := bucket(upper(i)); got != i {
			t.Fatalf("the largest value of bucket %d falls into bucket %d", i, got)
		}
		if i+1 < histBuckets && bucket(upper(i)+1) != i+1 {
			t.Fatalf("the value after bucket %d falls into bucket %d", i, bucket(upper(i)+1))
		}
	}
}

func TestQuantilesStayWithinOnePercentAboveTheTruth(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	all := make([]time.Duration, 100_000)
	for i := range all {
		all[i] = time.Duration(r.ExpFloat64() * float64(3*time.Millisecond))
		h.Record(all[i])
	}
	slices.Sort(all)
	for _, q := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		truth := all[max(int(q*float64(len(all)))-1, 0)]
		if got := h.Quantile(q); got < truth || float64(got) > 1.01*float64(truth)+1 {
			t.Errorf("quantile %v is %v, truth %v", q, got, truth)
		}
	}
}

func TestHistogramEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.99) != 0 || h.Max() != 0 {
		t.Error("an empty histogram answers something else than 0")
	}
	h.Record(-time.Second)
	h.Record(24 * time.Hour)
	if h.Quantile(0.5) != 0 {
		t.Errorf("a negative duration counted as %v", h.Quantile(0.5))
	}
	if h.Max() != 24*time.Hour || h.Count() != 2 {
		t.Errorf("a day beyond the last bucket: max %v, count %d", h.Max(), h.Count())
	}
}

func TestAddedHistogramsAnswerLikeOne(t *testing.T) {
	var one, a, b Histogram
	for i := range 1000 {
		d := time.Duration(i * i)
		one.Record(d)
		if i%3 == 0 {
			a.Record(d)
		} else {
			b.Record(d)
		}
	}
	a.Add(&b)
	if a != one {
		t.Error("two halves added differ from the whole")
	}
}
