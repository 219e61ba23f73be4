#!/bin/sh
# templates
