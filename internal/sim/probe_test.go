package sim

func (w *world) probe() {}
