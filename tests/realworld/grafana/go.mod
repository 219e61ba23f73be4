module g
