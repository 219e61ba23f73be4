#!/bin/bash -e
