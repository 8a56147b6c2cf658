package wolkvox

// EnableModule enables the operation that the token names. It has no parameters
// and no body, and answers {"code": 202, "error": null, "msg": "The ... module has
// been successfully enabled"} (vendor's documents). What it answers where the
// operation is enabled already is not known; success is assumed.
var EnableModule = Operation{API: "enable_module"}
