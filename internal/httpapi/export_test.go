package httpapi

// RouteNames lists "METHOD path" of every route of the kernel and of wings.
func RouteNames(cfg Config, builders ...Builder) ([]string, error) {
	a := &API{Config: cfg}
	for _, build := range builders {
		w, err := build(a)
		if err != nil {
			return nil, err
		}
		a.wings = append(a.wings, w)
	}
	routes, _, err := a.allRoutes()
	var out []string
	for path, methods := range routes {
		for method := range methods {
			out = append(out, method+" "+path)
		}
	}
	return out, err
}

// Document is the served document.
func Document() string { return document }
