package mail

import (
	"container/heap"

	"github.com/consentd/consentd/storage/consent"
	"github.com/google/uuid"
)

// schedule knows of every waiting job when it is due; the jobs themselves stay in the store. An item is on the heap,
// or somebody holds it (index -1): a job is never in two hands.
type schedule struct {
	items map[uuid.UUID]*item
	due   dueHeap
}

type item struct {
	id               uuid.UUID
	created, expires consent.Millis
	next             consent.Millis
	why              Reason         // of the last failure; "": none yet
	refused          consent.Millis // when it was first refused and it was unclear why; 0: never. Covered by Queue.mu
	index            int            // on the heap; -1: held
	forgotten        bool           // its notes are to go, whatever becomes of the attempt under way
}

func newSchedule() schedule { return schedule{items: map[uuid.UUID]*item{}} }

// add puts a job on the heap; one that is known stays as it is.
func (s *schedule) add(r *record) {
	if _, known := s.items[r.ID]; known {
		return
	}
	it := &item{id: r.ID, created: r.Created, expires: r.Expires, next: r.Next, why: r.Why}
	s.items[r.ID] = it
	heap.Push(&s.due, it)
}

// first is the item due next; nil: none is on the heap.
func (s *schedule) first() *item {
	if len(s.due) == 0 {
		return nil
	}
	return s.due[0]
}

// take holds an item.
func (s *schedule) take(it *item) { heap.Remove(&s.due, it.index) }

// back puts a held item on the heap again.
func (s *schedule) back(it *item, next consent.Millis) {
	it.next = next
	heap.Push(&s.due, it)
}

// drop forgets a held item.
func (s *schedule) drop(it *item) { delete(s.items, it.id) }

// expired holds every item on the heap that has expired at now, and gives them.
func (s *schedule) expired(now consent.Millis) (all []*item) {
	for _, it := range s.items {
		if it.index >= 0 && it.expires <= now {
			s.take(it)
			all = append(all, it)
		}
	}
	return all
}

// oldest is when the job that has waited longest was asked for; 0: none waits.
func (s *schedule) oldest() (at consent.Millis) {
	for _, it := range s.items {
		if at == 0 || it.created < at {
			at = it.created
		}
	}
	return at
}

// dueHeap is ordered by when an item is due, then by when it was asked for.
type dueHeap []*item

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	if h[i].next != h[j].next {
		return h[i].next < h[j].next
	}
	return h[i].created < h[j].created
}
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *dueHeap) Push(x any) {
	it := x.(*item)
	it.index = len(*h)
	*h = append(*h, it)
}
func (h *dueHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	it.index = -1
	return it
}
