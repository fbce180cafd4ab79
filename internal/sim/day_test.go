package sim

import "time"

// habit is how somebody uses an application through the week.
type habit int

const (
	office habit = iota // open from morning to evening, with breaks, on weekdays
	casual              // one to three visits a day
	phone               // half a dozen glances
)

// habits are drawn by these shares.
func (w *world) habit() habit {
	switch r := w.rng.Float64(); {
	case r < w.offices:
		return office
	case r < w.offices+(1-w.offices)/2:
		return casual
	}
	return phone
}

const day = 24 * time.Hour

// plan draws the visits of the day that begins now and of those that follow.
func (b *browser) plan() {
	w := b.w
	weekday := int(w.since()/day) % 7
	switch weekend := weekday >= 5; {
	case b.habit == office && (!weekend || w.chance(0.05)):
		at := w.normal(8*time.Hour+45*time.Minute, 40*time.Minute)
		end := w.normal(17*time.Hour+30*time.Minute, time.Hour)
		for at < end {
			d := min(w.between(40*time.Minute, 110*time.Minute), end-at)
			b.visitAt(at, d)
			at += d + w.between(5*time.Minute, 50*time.Minute)
		}
		if w.chance(0.3) {
			b.visitAt(w.between(19*time.Hour, 22*time.Hour), w.between(5*time.Minute, 30*time.Minute))
		}
	case b.habit == casual:
		b.visits(1+w.rng.IntN(3), 3*time.Minute, 25*time.Minute)
	case b.habit == phone:
		b.visits(3+w.rng.IntN(6), 20*time.Second, 6*time.Minute)
	}
	if w.chance(w.holidays) { // away for longer than a session idles
		w.after(day+w.between(w.idle/2, w.idle*3/2).Truncate(day), b.plan)
		return
	}
	w.after(day, b.plan)
}

// visits spreads n visits over the day, one after the other.
func (b *browser) visits(n int, short, long time.Duration) {
	part := 15 * time.Hour / time.Duration(n)
	for i := range n {
		b.visitAt(7*time.Hour+time.Duration(i)*part+b.w.between(0, part-long), b.w.between(short, long))
	}
}

func (b *browser) visitAt(at, d time.Duration) {
	if at < 0 || d <= 0 {
		return
	}
	b.w.after(at, func() {
		if !b.awake {
			b.visit(d)
		}
	})
}

func (w *world) normal(mean, deviation time.Duration) time.Duration {
	return mean + time.Duration(w.rng.NormFloat64()*float64(deviation))
}
