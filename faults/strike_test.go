package faults

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

// strike makes a fault happen and lets it pass.
func (w *world) strike(f fault) {
	n := w.nodes[f.Node%len(w.nodes)]
	began := w.window(f, n)
	defer w.passed(began)
	var err error
	switch f.Kind {
	case killNode, restartNode, freezeNode:
		err = w.strikeProcess(f, n)
	case resetClients, slowClients, partitionClients, loseAnswers:
		strikeLink(f, n.front)
	case skewClock:
		n.mu.Lock()
		n.skew(time.Duration(w.hour.Load()) + time.Duration(f.Param)*time.Millisecond)
		n.mu.Unlock()
	case backUp, restoreBackup:
		err = w.strikeBackup(f)
	default:
		err = w.strikeDatabase(f, n)
	}
	if err != nil {
		w.t.Errorf("%v: %v", f, err)
	}
}

func (w *world) window(f fault, n *node) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := window{w.rec.now(), time.Hour, -1}
	switch f.Kind {
	case killNode, restartNode, freezeNode, resetClients, slowClients, partitionClients, loseAnswers, partitionDatabase:
		at.node = n.number
	}
	w.active = append(w.active, at)
	return len(w.active) - 1
}

func (w *world) passed(i int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.active[i].to = w.rec.now()
}

func (w *world) strikeProcess(f fault, n *node) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch f.Kind {
	case freezeNode:
		n.signal(syscall.SIGSTOP)
		time.Sleep(f.For)
		n.signal(syscall.SIGCONT)
		return nil
	case killNode:
		n.kill()
		time.Sleep(f.For)
	case restartNode:
		n.stop()
	}
	return n.start()
}

func strikeLink(f fault, l *link) {
	l.ill.Lock()
	defer l.ill.Unlock()
	switch f.Kind {
	case resetClients:
		l.reset(float64(f.Param) / 1000)
	case slowClients, slowDatabase:
		l.slow(time.Duration(f.Param) * time.Millisecond)
	case partitionClients, partitionDatabase:
		l.partition()
	case loseAnswers:
		l.lose()
	}
	time.Sleep(f.For)
	l.heal()
}

func (w *world) strikeDatabase(f fault, n *node) error {
	d := w.database
	d.mu.Lock()
	defer d.mu.Unlock()
	switch f.Kind {
	case killDatabase:
		if err := d.cluster().Kill(); err != nil {
			return err
		}
		time.Sleep(f.For)
		return d.cluster().Start()
	case freezeDatabase:
		if err := d.cluster().Freeze(); err != nil {
			return err
		}
		time.Sleep(f.For)
		return d.cluster().Thaw()
	case cutCommits:
		d.cut(f.Param/4, w.random)
		time.Sleep(f.For)
		d.uncut()
	case slowDatabase:
		for _, n := range w.nodes[1:] {
			go strikeLink(f, n.store[d.primary])
		}
		strikeLink(f, w.nodes[0].store[d.primary])
	case partitionDatabase:
		strikeLink(f, n.store[d.primary])
	case promoteReplica:
		l, err := d.promote(w.rec.now, func() {
			time.Sleep(f.For)
			w.progress(enough)
		})
		w.lost(l)
		if err != nil || !w.isLong() { // nobody will need another standby
			return err
		}
		return d.rebuild()
	default:
		return fmt.Errorf("there is no fault %q", f.Kind)
	}
	return nil
}

func (w *world) lost(l loss) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.losses = append(w.losses, l)
}

// strikeBackup makes a backup, or restores it when all clocks say that it is an
// hour old.
func (w *world) strikeBackup(f fault) error {
	if w.database == nil {
		return w.strikeFiles(f)
	}
	d := w.database
	d.mu.Lock()
	defer d.mu.Unlock()
	if f.Kind == backUp {
		w.backup, d.backup = w.rec.now(), d.primary
		return d.cluster().Backup()
	}
	w.setClocks(time.Hour)
	w.progress(enough)
	l, err := d.restore(w.rec.now, w.backup)
	w.lost(l)
	return err
}

func (w *world) strikeFiles(f fault) error {
	n := w.nodes[0]
	data, backup := filepath.Join(w.dir, "data"), filepath.Join(w.dir, "backup")
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.Kind == backUp {
		n.stop()
		w.backup = w.rec.now()
		return errors.Join(copyDir(data, backup), n.start())
	}
	w.progress(enough)
	l := loss{From: w.backup, Down: w.rec.now()}
	n.kill()
	n.config.Skew += time.Hour
	w.hour.Add(int64(time.Hour))
	err := errors.Join(copyDir(backup, data), n.start())
	l.Up = w.rec.now()
	w.lost(l)
	return err
}

// setClocks sets all clocks forward, and right but for that.
func (w *world) setClocks(forward time.Duration) {
	hour := time.Duration(w.hour.Add(int64(forward)))
	for _, n := range w.nodes {
		n.mu.Lock()
		n.skew(hour)
		n.mu.Unlock()
	}
}
