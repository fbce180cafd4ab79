package dpop

// ProofOf is a proof as Parse returns it.
func ProofOf(key, id string) Proof { return Proof{Key: key, id: id} }

// Remembered is how many proofs are, and -1 if the books do not agree.
func (r *Replays) Remembered() int {
	n := 0
	for _, e := range r.keys {
		k := e.Value.(*keyUses)
		if len(k.order) != len(k.seen) || len(k.order) == 0 {
			return -1
		}
		n += len(k.order)
	}
	if n != r.all || len(r.keys) != r.order.Len() {
		return -1
	}
	return n
}
