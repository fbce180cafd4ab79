package sqlite

import "context"

// texts stores what many sessions share once, and removes what none refers to
// any more. It is exact although other processes write too: what it remembers
// was read under the write lock and is forgotten when anybody else had it.
type texts struct {
	ids  map[string]int64
	byID map[int64]string
	pass *pass
	// at is where the next pass begins to look for texts to remove.
	at int64
}

// pass notes which texts are in use while Sweep walks through the table: those
// of the rows it looks at, and those that any write uses meanwhile.
type pass struct {
	at   []byte // where the next bite must begin
	used map[int64]bool
}

// maxTexts bounds the memory of texts; user agents come from outside.
const maxTexts = 4096

// forget is called whenever what is remembered may differ from what is stored.
func (t *texts) forget() { *t = texts{at: t.at} }

func (t *texts) remember(id int64, text string) {
	if t.ids == nil || len(t.ids) >= maxTexts {
		t.ids, t.byID = map[string]int64{}, map[int64]string{}
	}
	t.ids[text], t.byID[id] = id, text
}

func (t *texts) use(id int64) int64 {
	if t.pass != nil {
		t.pass.used[id] = true
	}
	return id
}

// textID returns the id of the text, which it stores if it is new.
func (w *writer) textID(text string) (id int64, err error) {
	if text == "" {
		return 0, nil
	}
	if id, ok := w.texts.ids[text]; ok {
		return w.texts.use(id), nil
	}
	args := []any{text}
	take := func(r *row) { id = r.int() }
	found, err := w.one("SELECT id FROM texts WHERE text = ?", args, take)
	if err == nil && !found {
		_, err = w.one("INSERT INTO texts (text) VALUES (?) RETURNING id", args, take)
	}
	if err != nil {
		return 0, err
	}
	w.texts.remember(id, text)
	return w.texts.use(id), nil
}

// text is the reverse of textID.
func (w *writer) text(id int64) (text string, err error) {
	if id == 0 {
		return "", nil
	}
	if text, ok := w.texts.byID[id]; ok {
		return text, nil
	}
	found, err := w.one("SELECT text FROM texts WHERE id = ?", []any{id}, func(r *row) { text = r.text() })
	if found {
		w.texts.remember(id, text)
	}
	return text, err
}

// beginBite starts a pass, or goes on with the one that has come to from.
func (t *texts) beginBite(from []byte) {
	switch {
	case isZero(from):
		t.pass = &pass{at: from, used: map[int64]bool{}}
	case t.pass != nil && string(t.pass.at) != string(from):
		t.pass = nil // somebody else is sweeping, or it starts in the middle
	}
}

// endBite ends a pass that has come to the end of the table by removing texts
// that it did not see in use; it looks at limit texts, the next pass at others.
func (w *writer) endBite(next []byte, limit int) error {
	p := w.texts.pass
	if p == nil {
		return nil
	}
	p.at = next
	if !isZero(next) {
		return nil
	}
	var ids []int64
	err := w.query(context.Background(), "SELECT id FROM texts WHERE id > ? ORDER BY id LIMIT ?",
		[]any{w.texts.at, int64(limit)}, func(r *row) error {
			ids = append(ids, r.int())
			return nil
		})
	for _, id := range ids {
		if err == nil && !p.used[id] {
			_, err = w.exec("DELETE FROM texts WHERE id = ?", id)
		}
	}
	if err != nil {
		return err
	}
	w.texts.at = 0
	if len(ids) == limit {
		w.texts.at = ids[limit-1]
	}
	w.texts.forget() // the pass is over, and some ids are gone
	return nil
}

func isZero(id []byte) bool {
	for _, b := range id {
		if b != 0 {
			return false
		}
	}
	return true
}
