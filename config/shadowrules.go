package config

const shadowPath = "spec.strategy.shadow"

func (c *checker) shadow(shadow Shadow, s RouteSpec) {
	c.namesVersion(shadowPath+".of", shadow.Of, s.Versions)
	c.namesVersion(shadowPath+".to", shadow.To, s.Versions)
	if shadow.Of == shadow.To && c.sound(shadowPath+".of") {
		c.refuse(shadowPath+".to", "is the version that is copied of: a shadow is another one", shadow.To)
	}
	c.weight(shadowPath+".percent", shadow.Percent)
	c.mayMirror(shadowPath, s)
}

// mayMirror refuses copies that nobody allowed.
func (c *checker) mayMirror(path string, s RouteSpec) {
	if s.Mirroring == MirroringForbidden {
		c.refusef(path, "needs spec.mirroring: Allowed, which says that a request may be answered twice")
	}
}

// shadowStep checks a step of a canary that copies requests. last is the weight before
// it, which has to be none: a shadow would take it away.
func (c *checker) shadowStep(path string, step Step, last Percent, s RouteSpec) {
	if last > 0 {
		c.refuse(path+".shadow", "comes after a weight: users would lose the candidate again", step.Shadow)
	}
	c.weight(path+".shadow", step.Shadow)
	c.mayMirror(path+".shadow", s)
	c.forTime(path+".for", step.For)
}
