package wolkvox

// DisableModule is EnableModule's twin: the same shape, and "disabled" in its msg
// (vendor's documents).
var DisableModule = Operation{API: "disable_module"}
